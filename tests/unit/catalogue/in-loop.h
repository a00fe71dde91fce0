/* A test's body in a fiber of a loop, and a directory of its own that goes away with it. */
#ifndef TESTS_IN_LOOP_H
#define TESTS_IN_LOOP_H

/* in_loop() - runs body(dir) in a fiber; dir is an empty directory. */
void in_loop(void (*body)(const char *dir));

#endif
