/* fiber.h - one thread, many stacks: a drive runs until it waits, and is simply never continued when it is killed. Deterministic. */
#ifndef FIBER_H
#define FIBER_H
#include <stdbool.h>

struct fiber;
struct fiber *fiber_new(void);
void fiber_free(struct fiber *f);
/* Drops whatever it was doing, at the place where it waits, as a kill does. */
void fiber_start(struct fiber *f, void (*run)(void *arg), void *arg);
/* Continues it until it waits again or ends; false once it has ended. */
bool fiber_resume(struct fiber *f);
/* Called on the fiber's own stack: goes back to whoever resumed it. */
void fiber_wait(struct fiber *f);
#endif
