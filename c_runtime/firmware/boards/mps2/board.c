/* board.c - Arm MPS2 with the FPGA images AN385 (Cortex-M3), AN386 (M4) and AN500 (M7), in QEMU.
 * SPDX-License-Identifier: 0BSD
 */
#define FPGAIO_COUNTER (*(volatile uint32_t *)0x40028018)
#define TICK_NS 40

#include "fpgaio.h"
