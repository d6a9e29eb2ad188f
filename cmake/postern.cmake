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

option(POSTERN_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(POSTERN_FUZZ "clang libFuzzer targets" OFF)
option(POSTERN_HARDEN "hardening flags of a release" OFF)
if(POSTERN_SANITIZE)
    target_compile_options(postern_flags INTERFACE -fsanitize=address,undefined
        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(postern_flags INTERFACE -fsanitize=address,undefined)
else()
    # A fiber's stack is small; see lib/io/fiber.c. Sanitizers inflate frames, and have larger stacks.
    target_compile_options(postern_flags INTERFACE -Wframe-larger-than=4096)
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

# A theme of lib/: its *.c but *_test.c are the library NAME; each x_test.c a cmocka program in ctest.
function(postern_lib name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lib/${name}/*.c ${CMAKE_SOURCE_DIR}/lib/${name}/*.S)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lib/${name}/*_test.c)
    list(REMOVE_ITEM sources ${tests} "")
    set(depends)
    foreach(d ${ARGN})
        if(TARGET lib_${d})
            list(APPEND depends lib_${d})
        else()
            list(APPEND depends ${d})
        endif()
    endforeach()
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
    get_filename_component(base ${file} NAME_WE)
    add_executable(${prefix}_${base} ${file})
    target_link_libraries(${prefix}_${base} PRIVATE ${ARGN} cmocka)
    # no fiber runs main()
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS -Wno-frame-larger-than)
    add_test(NAME ${prefix}/${base} COMMAND ${prefix}_${base})
    set_tests_properties(${prefix}/${base} PROPERTIES TIMEOUT 120
        ENVIRONMENT "SOURCE_DIR=${CMAKE_SOURCE_DIR}")
endfunction()

# postern_program(NAME LIBS...): the *.c of this folder (but tests) as one program.
# SOURCES a.c b.c: only those; DESTINATION dir: default is the daemon directory. Each x_test.c of the
# folder becomes a test when the program is defined without SOURCES; it is linked with
# the folder's other files but main.c.
function(postern_program name)
    cmake_parse_arguments(P "" "DESTINATION" "SOURCES" ${ARGN})
    if(P_SOURCES)
        set(sources ${P_SOURCES})
        set(tests)
    else()
        file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
        file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.c)
        list(REMOVE_ITEM sources ${tests} "")
    endif()
    set(libs)
    foreach(d ${P_UNPARSED_ARGUMENTS})
        if(TARGET lib_${d})
            list(APPEND libs lib_${d})
        else()
            list(APPEND libs ${d})
        endif()
    endforeach()
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE ${libs} postern_flags)
    if(P_DESTINATION)
        install(TARGETS ${name} RUNTIME DESTINATION ${P_DESTINATION})
    else()
        install(TARGETS ${name} RUNTIME DESTINATION ${POSTERN_DAEMON_DIR})
    endif()
    if(tests)
        set(parts ${sources})
        list(FILTER parts EXCLUDE REGEX "/main\\.c$")
        foreach(test ${tests})
            get_filename_component(base ${test} NAME_WE)
            add_executable(${name}_${base} ${test} ${parts})
            target_link_libraries(${name}_${base} PRIVATE ${libs} postern_flags cmocka)
            set_source_files_properties(${test} PROPERTIES COMPILE_OPTIONS -Wno-frame-larger-than)
            add_test(NAME ${name}/${base} COMMAND ${name}_${base})
            set_tests_properties(${name}/${base} PROPERTIES TIMEOUT 120
                ENVIRONMENT "SOURCE_DIR=${CMAKE_SOURCE_DIR}")
        endforeach()
    endif()
endfunction()
