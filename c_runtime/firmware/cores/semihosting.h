/* semihosting.h - the debugger's or emulator's service for boards without devices of their own.
 * SPDX-License-Identifier: 0BSD
 *
 * Arm and RISC-V share the operations: "Semihosting for AArch32 and AArch64", Arm Ltd.
 */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

/* The trap: one for each core, in assembly. Returns the operation's result. */
intptr_t semihosting(uintptr_t operation, const void *arguments);

/* Ends the program. */
void semihosting_exit(int status);

#endif
