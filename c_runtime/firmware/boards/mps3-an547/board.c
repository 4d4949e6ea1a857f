/* board.c - Arm MPS3 with the FPGA image AN547 (Cortex-M55), in QEMU.
 * SPDX-License-Identifier: 0BSD
 */
#define FPGAIO_COUNTER (*(volatile uint32_t *)0x49302018)
#define TICK_NS 50

#include "fpgaio.h"
