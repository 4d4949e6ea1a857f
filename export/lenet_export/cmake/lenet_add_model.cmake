# lenet_add_model: exports a checkpoint of lenet-train to C when a firmware is built.
#
#     lenet_add_model(
#         TARGET digits                    # the static library to make
#         [MODEL digits.safetensors]       # or the name of a bundled one: mnist (default) ...
#         [PREFIX lenet]                   # of the header and of all public names
#         [DTYPE int8]                     # or float32
#         [CPU cortex-m4]                  # kernels of this CPU; default: generic
#         [OPTIMIZE speed]                 # or ram, or flash
#         [TABLES inside]                  # or apart: what training decides in lenet_tables.h; or
#                                          # blob: in lenet_tables.bin, which lenet_bind() takes
#         [RELEASE 0]                      # of a blob: the larger, the newer
#         [WITH picture]                   # or amount: functions too that read pictures, lines
#         [MAX_ERROR 0.005]                # reject what is less sure; default: nothing
#         [HARDEN]                         # biases and gains twice, compared in each image
#         [VERIFY])                        # compare the C with JAX, with the host's compiler
#     target_link_libraries(firmware PRIVATE digits)   # brings #include "lenet.h"
#
# The library is compiled with the flags of the folder that it is made in. Flags that an INTERFACE
# target carries, as an SDK's do, come by linking it; for Zephyr:
#
#     target_link_libraries(digits PRIVATE zephyr_interface)
#
# The C is exported again when the checkpoint or lenet-export changes. The library asks for C99 and
# sets no other flag. A relative MODEL is relative to the current source folder; a word without a
# dot and a slash that is no file there is the name of a bundled model. Values are checked by
# lenet-export itself, when it runs.
#
# This file stands alone: include() it. Or find_package(lenet_export), which finds it in the folder that
# lenet-export --cmake-dir prints (-Dlenet_export_DIR=...), and where the project is installed. Or add the
# project by add_subdirectory or FetchContent.
#
# LENET_EXPORT_EXECUTABLE is the full path of lenet-export; default: the first one in PATH.

include_guard(GLOBAL)
cmake_policy(VERSION 3.20)

# It runs on the host also where the program does not, so it is looked for in no target's sysroot.
function(lenet_find_export)
    find_program(
        LENET_EXPORT_EXECUTABLE lenet-export
        DOC "lenet-export, which lenet_add_model runs"
        NO_CMAKE_FIND_ROOT_PATH
        ${ARGN})
endfunction()

function(lenet_add_model)
    set(values TARGET MODEL PREFIX DTYPE CPU OPTIMIZE TABLES RELEASE WITH MAX_ERROR)
    cmake_parse_arguments(PARSE_ARGV 0 arg "VERIFY;HARDEN" "${values}" "")
    set(where "lenet_add_model(TARGET ${arg_TARGET})")

    # CMake drops a keyword whose value is empty, say of a misspelt variable.
    foreach(name IN LISTS values)
        if(name IN_LIST ARGV AND "${arg_${name}}" STREQUAL "")
            message(FATAL_ERROR "${where}: ${name} has no value\n  give one, or leave ${name} out")
        endif()
    endforeach()
    if(DEFINED arg_UNPARSED_ARGUMENTS)
        string(REPLACE ";" " " unknown "${arg_UNPARSED_ARGUMENTS}")
        message(FATAL_ERROR
            "${where}: unknown arguments: ${unknown}\n"
            "  it takes TARGET, MODEL, PREFIX, DTYPE, CPU, OPTIMIZE, TABLES, RELEASE, WITH, MAX_ERROR, "
            "HARDEN and VERIFY")
    endif()
    if(NOT DEFINED arg_TARGET)
        message(FATAL_ERROR
            "lenet_add_model: TARGET is missing\n"
            "  name the library to make: lenet_add_model(TARGET digits)")
    endif()
    if(TARGET "${arg_TARGET}")
        message(FATAL_ERROR
            "${where}: there is a target of this name already\n"
            "  choose another TARGET; lenet is that of the project's own model")
    endif()
    if(NOT CMAKE_C_COMPILER_LOADED)
        message(FATAL_ERROR
            "${where}: the project has not enabled the language C\n"
            "  add it: project(... LANGUAGES C)")
    endif()
    if(NOT DEFINED arg_PREFIX)
        set(arg_PREFIX lenet)
    endif()
    set(options --target c --prefix "${arg_PREFIX}")
    set(model "")
    if(DEFINED arg_MODEL)
        get_filename_component(model "${arg_MODEL}" ABSOLUTE)
        if(EXISTS "${model}" AND NOT IS_DIRECTORY "${model}")
            list(APPEND options --model "${model}")
        elseif("${arg_MODEL}" MATCHES "^[A-Za-z0-9_-]+$")  # a bundled model's name
            set(model "")
            list(APPEND options --model "${arg_MODEL}")
        else()
            message(FATAL_ERROR
                "${where}: MODEL ${model} is not a file\n"
                "  give a model.safetensors of lenet-train, "
                "or the name of a bundled model, as mnist")
        endif()
    endif()
    foreach(name DTYPE CPU OPTIMIZE TABLES RELEASE WITH MAX_ERROR)
        if(DEFINED arg_${name})
            string(TOLOWER "--${name}" option)
            string(REPLACE "_" "-" option "${option}")
            list(APPEND options ${option} "${arg_${name}}")
        endif()
    endforeach()
    if(arg_HARDEN)
        list(APPEND options --harden)
    endif()
    if(arg_VERIFY)
        list(APPEND options --verify)
    else()
        list(APPEND options --no-verify)
    endif()

    lenet_find_export()
    if(NOT LENET_EXPORT_EXECUTABLE)
        message(FATAL_ERROR
            "${where}: lenet-export is not found in PATH\n"
            "  pip install lenet-export, or set LENET_EXPORT_EXECUTABLE to its full path")
    endif()
    if(NOT IS_ABSOLUTE "${LENET_EXPORT_EXECUTABLE}"
       OR NOT EXISTS "${LENET_EXPORT_EXECUTABLE}"
       OR IS_DIRECTORY "${LENET_EXPORT_EXECUTABLE}")
        message(FATAL_ERROR
            "${where}: LENET_EXPORT_EXECUTABLE ${LENET_EXPORT_EXECUTABLE} is not the full path of "
            "a file\n"
            "  correct it, or unset it to search PATH")
    endif()

    # An SDK's CC is a cross compiler, whose code the host cannot run.
    set(command "${LENET_EXPORT_EXECUTABLE}")
    if(CMAKE_CROSSCOMPILING)
        set(command "${CMAKE_COMMAND}" -E env --unset=CC "${LENET_EXPORT_EXECUTABLE}")
    endif()

    # An installed lenet-export gets a new script with each version. Where this file lies in its
    # package, whose modules may change without one, they count too.
    set(package "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..")
    set(tool_files "")
    if(EXISTS "${package}/checkpoint.py")
        file(GLOB_RECURSE tool_files CONFIGURE_DEPENDS
            "${package}/*.py" "${package}/*.j2" "${package}/*.[ch]" "${package}/*.safetensors")
    endif()

    set(folder "${CMAKE_CURRENT_BINARY_DIR}/lenet-export/${arg_TARGET}")
    set(exported "${folder}/${arg_PREFIX}.c" "${folder}/${arg_PREFIX}.h")
    if(arg_TABLES STREQUAL "apart")
        list(APPEND exported "${folder}/${arg_PREFIX}_tables.h")
    endif()
    set(beside "${folder}/${arg_PREFIX}.json")
    if(arg_TABLES STREQUAL "blob")
        list(APPEND beside "${folder}/${arg_PREFIX}_tables.bin")
    endif()
    add_custom_command(
        OUTPUT ${exported}
        BYPRODUCTS ${beside}
        COMMAND ${command} ${options} --out "${folder}"
        DEPENDS "${LENET_EXPORT_EXECUTABLE}" ${model} ${tool_files}
        COMMENT "Exporting ${arg_PREFIX}.c and ${arg_PREFIX}.h for ${arg_TARGET}"
        VERBATIM)
    add_library(${arg_TARGET} STATIC ${exported})
    target_include_directories(${arg_TARGET} PUBLIC "${folder}")
    lenet_set_properties(${arg_TARGET} ${arg_PREFIX})
endfunction()

# What every library of generated C has: its language, and the promise to be the only model of its
# prefix. Two of one prefix would link, and the program would quietly use the first; CMake refuses
# targets that disagree on such a property.
function(lenet_set_properties target prefix)
    set_target_properties(${target} PROPERTIES
        C_STANDARD 99
        C_STANDARD_REQUIRED ON
        C_EXTENSIONS OFF
        INTERFACE_LENET_MODEL_WITH_PREFIX_${prefix} ${target}
        COMPATIBLE_INTERFACE_STRING LENET_MODEL_WITH_PREFIX_${prefix})
endfunction()
