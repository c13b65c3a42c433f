# What Debian wants of a package's files beyond cmake --install: packed manual pages; the licence, the changes and zsh's completion
# under their names there.
find_program(GZIP gzip REQUIRED)
set(SHARE "${CPACK_TEMPORARY_INSTALL_DIRECTORY}${CPACK_PACKAGING_INSTALL_PREFIX}/share")
set(DOC "${SHARE}/doc/rapt")
file(RENAME "${DOC}/LICENSE" "${DOC}/copyright")
file(RENAME "${DOC}/CHANGELOG.md" "${DOC}/changelog")
file(MAKE_DIRECTORY "${SHARE}/zsh/vendor-completions")
file(RENAME "${SHARE}/zsh/site-functions/_rapt" "${SHARE}/zsh/vendor-completions/_rapt")
file(REMOVE_RECURSE "${SHARE}/zsh/site-functions")
file(GLOB PAGES "${SHARE}/man/man1/*.1")
execute_process(COMMAND ${GZIP} -9n ${PAGES} "${DOC}/changelog" COMMAND_ERROR_IS_FATAL ANY)
