/* SPDX-License-Identifier: MIT */
/* scene.h: the room with three members that play a scene. */
#ifndef SCENE_H
#define SCENE_H
#include <stdbool.h>

/* Play it under the simulator, or for real, and print what each of them sees; the status of the program. */
int chat_scene(bool is_live);
#endif
