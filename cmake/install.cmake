# What cmake --install puts where.
include(GNUInstallDirs)
install(TARGETS rapt RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS librapt LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/rapt.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# The prefix is told by where rapt.pc lies, so that any --prefix is right.
file(RELATIVE_PATH RAPT_PC_UP /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" RAPT_PC_UP "${RAPT_PC_UP}")
configure_file(cmake/rapt.pc.in rapt.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rapt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Manual pages and completions come from the option tables, as docs/commands do, so they are made when the program is.
set(PAGES ${CMAKE_CURRENT_BINARY_DIR}/pages)
add_custom_command(OUTPUT ${PAGES}/man1/rapt.1 COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/tools/pages.sh $<TARGET_FILE:rapt> ${PAGES}
  DEPENDS rapt tools/pages.sh VERBATIM)
add_custom_target(pages ALL DEPENDS ${PAGES}/man1/rapt.1)
install(DIRECTORY ${PAGES}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${PAGES}/completions/rapt DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PAGES}/completions/_rapt DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${PAGES}/completions/rapt.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
# What one reads and copies: the documents, recipes and examples.
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs prompts DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY recipes examples DESTINATION ${CMAKE_INSTALL_DATADIR}/rapt)
