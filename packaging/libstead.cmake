# libstead: the client as a shared and a static library, with nothing visible but what include/stead says.
# One set of objects serves both. The static one is a single object, so that its inner names are not in the way of an
# application's own.
set(libstead_soversion 0)
set(libstead_sources)
foreach(room base core/dns core/http core/roster core/tcp client)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${room}/*.c)
  list(APPEND libstead_sources ${sources})
endforeach()
add_library(libstead_objects OBJECT ${libstead_sources})
set_target_properties(libstead_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_options(libstead_objects PRIVATE -ffunction-sections -fdata-sections)
target_include_directories(libstead_objects PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(libstead_objects PRIVATE PkgConfig::JANSSON)

set(libstead_map ${CMAKE_CURRENT_SOURCE_DIR}/libstead.map)
add_library(libstead SHARED $<TARGET_OBJECTS:libstead_objects>)
set_target_properties(libstead PROPERTIES OUTPUT_NAME stead VERSION ${PROJECT_VERSION}
  SOVERSION ${libstead_soversion} LINK_DEPENDS ${libstead_map} LINKER_LANGUAGE C)
# Never unloaded: a thread that resolves a name may still run.
target_link_options(libstead PRIVATE -Wl,--version-script=${libstead_map} -Wl,--gc-sections -Wl,-z,nodelete)
target_link_libraries(libstead PRIVATE PkgConfig::JANSSON Threads::Threads)

set(libstead_static ${CMAKE_CURRENT_BINARY_DIR}/libstead.a)
add_custom_command(OUTPUT ${libstead_static}
  COMMAND ${CMAKE_LINKER} -r -o libstead.o $<TARGET_OBJECTS:libstead_objects>
  COMMAND ${CMAKE_OBJCOPY} --wildcard "--keep-global-symbol=stead_*" libstead.o
  COMMAND ${CMAKE_COMMAND} -E rm -f ${libstead_static}
  COMMAND ${CMAKE_AR} rcs ${libstead_static} libstead.o
  DEPENDS libstead_objects $<TARGET_OBJECTS:libstead_objects>
  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(libstead_archive ALL DEPENDS ${libstead_static})

# Found from where the file lies, so that any prefix does, at any time.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_to_prefix /${pc_dir} /)
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
configure_file(stead.pc.in stead.pc @ONLY)

install(TARGETS libstead LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libstead)
install(FILES ${libstead_static} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libstead)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/stead DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT libstead)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/stead.pc DESTINATION ${pc_dir} COMPONENT libstead)
install(FILES ${CMAKE_SOURCE_DIR}/docs/man/libstead.3 ${CMAKE_SOURCE_DIR}/docs/man/stead_connect.3
  ${CMAKE_SOURCE_DIR}/docs/man/stead_session.3
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT libstead)
install(FILES ${CMAKE_SOURCE_DIR}/docs/libstead.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT libstead)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/examples/client ${CMAKE_SOURCE_DIR}/examples/session DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
  COMPONENT libstead)
