# LENET_MACHINE: mps2-an385 (Cortex-M3), mps2-an386 (Cortex-M4), mps2-an500 (Cortex-M7).
include(cores/arm.cmake)
