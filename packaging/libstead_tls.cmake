# libstead-tls: beside libstead, of which it needs what everybody sees, and nothing else.
file(GLOB libstead_tls_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/libtls/*.c)
list(APPEND libstead_tls_sources ${CMAKE_SOURCE_DIR}/src/base/mem.c ${CMAKE_SOURCE_DIR}/src/base/base64.c)
add_library(libstead_tls_objects OBJECT ${libstead_tls_sources})
set_target_properties(libstead_tls_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_options(libstead_tls_objects PRIVATE -ffunction-sections -fdata-sections)
target_include_directories(libstead_tls_objects PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(libstead_tls_objects PRIVATE PkgConfig::JANSSON PkgConfig::SSL PkgConfig::CRYPTO)

set(libstead_tls_map ${CMAKE_CURRENT_SOURCE_DIR}/libstead_tls.map)
add_library(libstead_tls SHARED $<TARGET_OBJECTS:libstead_tls_objects>)
set_target_properties(libstead_tls PROPERTIES OUTPUT_NAME stead-tls VERSION ${PROJECT_VERSION}
  SOVERSION ${libstead_soversion} LINK_DEPENDS ${libstead_tls_map} LINKER_LANGUAGE C)
# Never unloaded: OpenSSL calls it when it frees what was attached.
target_link_options(libstead_tls PRIVATE -Wl,--version-script=${libstead_tls_map} -Wl,--gc-sections -Wl,-z,nodelete)
target_link_libraries(libstead_tls PRIVATE PkgConfig::JANSSON Threads::Threads
  PUBLIC libstead PkgConfig::SSL PkgConfig::CRYPTO)

set(libstead_tls_static ${CMAKE_CURRENT_BINARY_DIR}/libstead-tls.a)
add_custom_command(OUTPUT ${libstead_tls_static}
  COMMAND ${CMAKE_LINKER} -r -o libstead_tls.o $<TARGET_OBJECTS:libstead_tls_objects>
  COMMAND ${CMAKE_OBJCOPY} --wildcard "--keep-global-symbol=stead_*" libstead_tls.o
  COMMAND ${CMAKE_COMMAND} -E rm -f ${libstead_tls_static}
  COMMAND ${CMAKE_AR} rcs ${libstead_tls_static} libstead_tls.o
  DEPENDS libstead_tls_objects $<TARGET_OBJECTS:libstead_tls_objects>
  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(libstead_tls_archive ALL DEPENDS ${libstead_tls_static})
configure_file(stead-tls.pc.in stead-tls.pc @ONLY)

install(TARGETS libstead_tls LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libstead)
install(FILES ${libstead_tls_static} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libstead)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/stead-tls.pc DESTINATION ${pc_dir} COMPONENT libstead)
install(FILES ${CMAKE_SOURCE_DIR}/docs/man/stead_tls.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT libstead)
install(FILES ${CMAKE_SOURCE_DIR}/docs/libstead-tls.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT libstead)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/examples/tls-server ${CMAKE_SOURCE_DIR}/examples/tls-client DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
  COMPONENT libstead)
