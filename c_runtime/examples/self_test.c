/* self_test.c - checks the network on the machine that it runs on, and says which part failed.
 * SPDX-License-Identifier: 0BSD
 *
 *     cc -O2 -Ic_runtime/generated -o self_test c_runtime/examples/self_test.c c_runtime/generated/lenet.c
 *     ./self_test
 */
#include "lenet.h"

#include <stdio.h>

int main(void)
{
    static lenet_workspace ws;
    switch (lenet_self_test(&ws)) {
    case LENET_SELF_TEST_PASSED:
        puts("self-test passed");
        return 0;
    case LENET_SELF_TEST_CONSTANTS:
        fputs("self-test failed: the constants are not those of the model (CRC-32C)\n"
              "  write the program to flash again\n",
              stderr);
        return 1;
    case LENET_SELF_TEST_ANSWERS:
    case LENET_SELF_TEST_RUNNING:
        fputs("self-test failed: the constants are right, but known images are read wrongly\n"
              "  suspect the RAM, the code in flash, or the compiler and its flags\n",
              stderr);
        return 1;
    }
    return 1;
}
