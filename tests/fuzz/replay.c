/* Runs a fuzz target over every file of the folders named. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define INPUT_MAX (1024 * 1024)

static int run_file(const char *folder, const char *name, uint8_t *room)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rbe");
    if (f == NULL)
        return 0;
    size_t n = fread(room, 1, INPUT_MAX, f);
    fclose(f);
    LLVMFuzzerTestOneInput(room, n);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    uint8_t *room = malloc(INPUT_MAX);
    for (int i = 1; i < argc && room != NULL; i++) {
        DIR *folder = opendir(argv[i]);
        for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
            if (entry->d_name[0] != '.')
                count += run_file(argv[i], entry->d_name, room);
        if (folder != NULL)
            closedir(folder);
    }
    free(room);
    printf("%d inputs\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
