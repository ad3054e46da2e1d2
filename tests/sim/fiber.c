#include "fiber.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#define STACK_BYTES (256 * 1024)

/* Sanitizers must be told of every change of stack, and know swapcontext; without them _longjmp is used, which asks the system nothing. */
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define SLOW 1
#elif defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SLOW 1
#else
#define SLOW 0
#endif

struct fiber {
    ucontext_t entry, owner;
    jmp_buf here, back;
    char *stack;
    void (*run)(void *arg);
    void *arg;
    bool entered, ended;
    void *own, *other; /* what the sanitizer calls the two stacks */
    const void *other_stack;
    size_t other_size;
};

struct fiber *fiber_new(void)
{
    struct fiber *f = calloc(1, sizeof *f);

    if (f == NULL)
        abort();
    f->stack = malloc(STACK_BYTES);
    if (f->stack == NULL)
        abort();
    f->ended = true;
    return f;
}

static void forget(struct fiber *f)
{
#if defined(__SANITIZE_THREAD__)
    if (f->own != NULL)
        __tsan_destroy_fiber(f->own);
#endif
    f->own = NULL;
}

void fiber_free(struct fiber *f)
{
    forget(f);
    free(f->stack);
    free(f);
}

#if SLOW
static void leave(struct fiber *f, ucontext_t *from, const ucontext_t *to, bool inward)
{
#if defined(__SANITIZE_THREAD__)
    if (inward)
        f->other = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(inward ? f->own : f->other, 0);
    swapcontext(from, to);
#else
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, inward ? f->stack : f->other_stack, inward ? STACK_BYTES : f->other_size);
    swapcontext(from, to);
    if (inward)
        __sanitizer_finish_switch_fiber(fake, NULL, NULL);
    else
        __sanitizer_finish_switch_fiber(fake, &f->other_stack, &f->other_size);
#endif
}

static void go_back(struct fiber *f)
{
    leave(f, &f->entry, &f->owner, false);
}
#else
static void go_back(struct fiber *f)
{
    if (_setjmp(f->here) == 0)
        _longjmp(f->back, 1);
}
#endif

/* Never returns: a fiber that has ended waits to be started again, which costs no system call. */
static void enter(unsigned high, unsigned low)
{
    struct fiber *f = (struct fiber *)((uintptr_t)high << 32 | low);

#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &f->other_stack, &f->other_size);
#endif
    for (;;) {
        f->run(f->arg);
        f->ended = true;
        go_back(f);
    }
}

void fiber_start(struct fiber *f, void (*run)(void *arg), void *arg)
{
    f->run = run;
    f->arg = arg;
    if (f->entered && f->ended) {
        f->ended = false;
        return;
    }
    forget(f);
#if defined(__SANITIZE_THREAD__)
    f->own = __tsan_create_fiber(0);
#endif
    f->entered = false;
    f->ended = false;
    if (getcontext(&f->entry) != 0)
        abort();
    f->entry.uc_stack.ss_sp = f->stack;
    f->entry.uc_stack.ss_size = STACK_BYTES;
    f->entry.uc_link = NULL;
    /* makecontext's functions take ints */
    makecontext(&f->entry, (void (*)(void))enter, 2, (unsigned)((uintptr_t)f >> 32), (unsigned)(uintptr_t)f);
}

bool fiber_resume(struct fiber *f)
{
#if SLOW
    f->entered = true;
    leave(f, &f->owner, &f->entry, true);
#else
    if (_setjmp(f->back) == 0) {
        if (f->entered)
            _longjmp(f->here, 1);
        f->entered = true;
        setcontext(&f->entry);
    }
#endif
    return !f->ended;
}

void fiber_wait(struct fiber *f)
{
    go_back(f);
}
