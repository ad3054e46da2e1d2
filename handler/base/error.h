/* error.h - the one way a function says that it failed.
 *
 * A function that can fail returns enum err_code (0 is success) and takes a caller-owned struct err last. It fills the err only when it
 * fails; NULL is allowed. There is no allocation on the failure path. Text in msg is for people and logs: never a secret, never a SAS
 * query. Thread rule: an err belongs to one thread at a time. */
#ifndef ERROR_H
#define ERROR_H

enum err_code {
    OK = 0,
    ERR_MEMORY,      /* no memory, or a bounded buffer is full */
    ERR_INPUT,       /* what came in does not follow the rules */
    ERR_REFUSED,     /* the other side answered no: http_status and remote say why */
    ERR_TOO_LARGE,   /* the answer is longer than it may be */
    ERR_ABSENT,      /* the other side answered that it does not exist (404) */
    ERR_CONFLICT,    /* somebody else was first: 409 on create-once, 412 on a condition */
    ERR_UNREACHABLE, /* no usable answer: connection, timeout, deadline, 5xx or 429 to the end */
    ERR_INTERNAL,    /* a library or the system failed */
};

struct err {
    enum err_code code;
    int http_status; /* 0: there was no answer */
    char remote[96]; /* the other side's own error code, e.g. "BlobNotFound"; "" when it gave none */
    char msg[512];   /* one line for people */
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* Sets *err and returns code, so that `return err_set(err, ERR_INPUT, ...)` is the whole failure path. */
enum err_code err_set(struct err *err, enum err_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message that is there; returns err->code (ERR_INTERNAL for NULL). */
enum err_code err_context(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "absent", "conflict" ...: the word for logs. */
const char *err_name(enum err_code code);

#endif
