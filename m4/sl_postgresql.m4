dnl SPDX-License-Identifier: Apache-2.0
dnl --with-postgresql: the store's second engine.
AC_DEFUN([SL_POSTGRESQL], [
  AC_ARG_WITH([postgresql],
    [AS_HELP_STRING([--with-postgresql], [build the PostgreSQL store engine])],
    [], [with_postgresql=no])
  sl_postgresql=$with_postgresql
  AS_IF([test "$with_postgresql" != no], [
    AC_MSG_ERROR([--with-postgresql: the PostgreSQL store engine is not built yet; use the SQLite store])
  ])
  AM_CONDITIONAL([HAVE_POSTGRESQL], [test "$with_postgresql" != no])
])
