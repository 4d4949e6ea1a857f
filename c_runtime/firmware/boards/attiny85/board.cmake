# 512 bytes of RAM hold no image: the firmware is a sketch, which takes row after row. There is no counter.
set(main sketch.c)
list(REMOVE_ITEM programs check_count)
list(APPEND link_options -Wl,--gc-sections)
include(cores/avr.cmake)
