/* SPDX-License-Identifier: MIT */
/* scene.h: the room with three members that play a scene. */
#ifndef SCENE_H
#define SCENE_H

/* Play it under the simulator and print what each of them sees; the status of the program. */
int chat_scene(void);
#endif
