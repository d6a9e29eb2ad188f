# SPDX-License-Identifier: Apache-2.0
# What a folder of the project is to the build.

add_library(postern_flags INTERFACE)
target_include_directories(postern_flags INTERFACE ${CMAKE_SOURCE_DIR}/lib ${CMAKE_SOURCE_DIR}
                           ${CMAKE_BINARY_DIR}/include)
target_compile_definitions(postern_flags INTERFACE _GNU_SOURCE)
target_compile_options(postern_flags INTERFACE
    -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
    -Wno-format-nonliteral -Wundef -Wpointer-arith -fno-strict-aliasing -fno-common
    -include ${CMAKE_SOURCE_DIR}/lib/base/banned.h)

# A program loads what it calls, not what a part of lib/ that it shares could call.
target_link_options(postern_flags INTERFACE -Wl,--as-needed)

option(POSTERN_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(POSTERN_FUZZ "clang libFuzzer targets" OFF)
option(POSTERN_SHUFFLE "fibers in random order, when the environment asks for it (lib/io/shuffle.h)" OFF)
option(POSTERN_HARDEN "hardening flags of a release" OFF)
if(POSTERN_SANITIZE)
    target_compile_options(postern_flags INTERFACE -fsanitize=address,undefined
        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(postern_flags INTERFACE -fsanitize=address,undefined)
else()
    # A fiber's stack is small; see lib/io/fiber.c. Sanitizers inflate frames, and have larger stacks.
    target_compile_options(postern_flags INTERFACE -Wframe-larger-than=4096)
endif()
if(POSTERN_SHUFFLE)
    target_compile_definitions(postern_flags INTERFACE IO_SHUFFLE)
endif()
if(POSTERN_FUZZ)
    # clang takes libseccomp's macros for incomplete initialisers
    target_compile_options(postern_flags INTERFACE -fsanitize=fuzzer-no-link -Wno-missing-field-initializers)
endif()
if(POSTERN_HARDEN)
    target_compile_options(postern_flags INTERFACE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
        -fstack-clash-protection -fcf-protection -fPIE)
    target_link_options(postern_flags INTERFACE -pie -Wl,-z,relro,-z,now)
endif()

# The name by which a library is loaded at run time
function(postern_soname library result)
    execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${library} OUTPUT_VARIABLE head COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCH "SONAME +([^ \n]+)" found "${head}")
    if(NOT found)
        message(FATAL_ERROR "${library} has no soname")
    endif()
    set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()

# Names of themes of lib/ as targets; other targets as they are.
function(postern_targets result)
    set(targets)
    foreach(name ${ARGN})
        if(TARGET lib_${name})
            list(APPEND targets lib_${name})
        else()
            list(APPEND targets ${name})
        endif()
    endforeach()
    set(${result} ${targets} PARENT_SCOPE)
endfunction()

# A theme of lib/: its *.c but *_test.c are the library NAME; each x_test.c a cmocka program in ctest.
function(postern_lib name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lib/${name}/*.c ${CMAKE_SOURCE_DIR}/lib/${name}/*.S)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lib/${name}/*_test.c)
    list(REMOVE_ITEM sources ${tests} "")
    postern_targets(depends ${ARGN})
    if(sources)
        add_library(lib_${name} STATIC ${sources})
        target_link_libraries(lib_${name} PUBLIC postern_flags ${depends})
    else()
        add_library(lib_${name} INTERFACE)
        target_link_libraries(lib_${name} INTERFACE postern_flags ${depends})
    endif()
    foreach(test ${tests})
        postern_test(${name} ${test} lib_${name})
    endforeach()
endfunction()

function(postern_test prefix file)
    if(NOT BUILD_TESTING OR POSTERN_FUZZ)
        return()
    endif()
    get_filename_component(base ${file} NAME_WE)
    add_executable(${prefix}_${base} ${file})
    target_link_libraries(${prefix}_${base} PRIVATE ${ARGN} cmocka)
    # no fiber runs main()
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS -Wno-frame-larger-than)
    add_test(NAME ${prefix}/${base} COMMAND ${prefix}_${base})
    set_tests_properties(${prefix}/${base} PROPERTIES TIMEOUT 120
        ENVIRONMENT "SOURCE_DIR=${CMAKE_SOURCE_DIR}")
endfunction()

# postern_program(NAME LIBS...): the *.c of this folder (but tests) as one program. All but main.c are the
# library NAME_parts, with which each x_test.c of the folder is linked.
# SOURCES a.c b.c: only those, and no tests; DESTINATION dir: default is the daemon directory.
function(postern_program name)
    cmake_parse_arguments(P "" "DESTINATION" "SOURCES" ${ARGN})
    postern_targets(libs ${P_UNPARSED_ARGUMENTS})
    if(P_SOURCES)
        add_executable(${name} ${P_SOURCES})
        target_link_libraries(${name} PRIVATE ${libs} postern_flags)
    else()
        file(GLOB parts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
        file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.c)
        list(REMOVE_ITEM parts ${CMAKE_CURRENT_SOURCE_DIR}/main.c ${tests})
        add_library(${name}_parts STATIC ${parts})
        target_link_libraries(${name}_parts PUBLIC ${libs} postern_flags)
        add_executable(${name} main.c)
        target_link_libraries(${name} PRIVATE ${name}_parts)
        foreach(test ${tests})
            postern_test(${name} ${test} ${name}_parts)
        endforeach()
    endif()
    if(P_DESTINATION)
        install(TARGETS ${name} RUNTIME DESTINATION ${P_DESTINATION})
    else()
        install(TARGETS ${name} RUNTIME DESTINATION ${POSTERN_DAEMON_DIR})
    endif()
endfunction()
