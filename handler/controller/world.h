/* world.h - the product's world for drive(): looks and acts over ARM, Storage and Slack, in the order of the bits. */
#ifndef WORLD_H
#define WORLD_H
#include "controller/controller.h"
#include "controller/drive.h"

/* e is borrowed while the world is used. */
struct job_world world_of(const struct errand *e);
#endif
