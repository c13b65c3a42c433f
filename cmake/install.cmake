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
