dnl SPDX-License-Identifier: Apache-2.0
dnl A required library: names the Debian package that brings it.
AC_DEFUN([SL_NEED], [
  PKG_CHECK_MODULES([$1], [$2], [],
    [AC_MSG_ERROR([$2 not found: install the Debian package $3])])
])
dnl SL_NEED_LIB(VARIABLE, header, library, function, Debian package)
AC_DEFUN([SL_NEED_LIB], [
  AC_CHECK_HEADER([$2], [], [AC_MSG_ERROR([$2 not found: install the Debian package $5])])
  AC_CHECK_LIB([$3], [$4], [$1_LIBS="-l$3"],
    [AC_MSG_ERROR([lib$3 not found: install the Debian package $5])])
  AC_SUBST([$1_LIBS])
])
AC_DEFUN([SL_NEED_HEADER], [
  AC_CHECK_HEADER([$1], [], [AC_MSG_ERROR([$1 not found: install the Debian package $2])])
])
