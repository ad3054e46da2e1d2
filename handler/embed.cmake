# Embeds a text file as a C string constant: cmake -DFROM=... -DTO=... -DNAME=... -P embed.cmake
file(READ "${FROM}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE "${TO}" "#include \"controller/template.h\"\nconst char ${NAME}[] = {${bytes}0};\n")
