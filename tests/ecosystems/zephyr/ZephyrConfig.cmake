# What a module and an application use of Zephyr's build system, for programs of the host.
project(Zephyr-Kernel LANGUAGES C)

file(STRINGS "${CMAKE_CURRENT_SOURCE_DIR}/prj.conf" settings REGEX "^CONFIG_[A-Za-z0-9_]+=")
foreach(setting IN LISTS settings)
    string(REGEX MATCH "^([^=]+)=(.*)$" matched "${setting}")
    set(${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
endforeach()

add_library(zephyr_interface INTERFACE)
add_library(app STATIC)
target_link_libraries(app PUBLIC zephyr_interface)

function(zephyr_include_directories)
    foreach(folder IN LISTS ARGN)
        get_filename_component(folder "${folder}" ABSOLUTE)
        target_include_directories(zephyr_interface INTERFACE "${folder}")
    endforeach()
endfunction()

macro(zephyr_library)
    string(MAKE_C_IDENTIFIER "${CMAKE_CURRENT_SOURCE_DIR}" ZEPHYR_CURRENT_LIBRARY)
    add_library(${ZEPHYR_CURRENT_LIBRARY} STATIC)
    target_link_libraries(${ZEPHYR_CURRENT_LIBRARY} PUBLIC zephyr_interface)
    target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE -Wall -Wextra -Werror)
    target_link_libraries(app PUBLIC ${ZEPHYR_CURRENT_LIBRARY})
endmacro()

function(zephyr_library_sources)
    target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()

foreach(module IN LISTS EXTRA_ZEPHYR_MODULES)
    get_filename_component(module "${module}" ABSOLUTE)
    get_filename_component(folder "${module}" NAME)
    add_subdirectory("${module}" "modules/${folder}")
endforeach()

file(WRITE "${CMAKE_BINARY_DIR}/start.c" "int zephyr_is_here;\n")
add_executable(program "${CMAKE_BINARY_DIR}/start.c")
target_link_libraries(program PRIVATE app)
