# An Arduino Uno has no room for an image: the firmware is a sketch, which takes row after row.
set(main sketch.c)
include(cores/avr.cmake)
