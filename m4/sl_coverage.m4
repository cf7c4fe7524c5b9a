dnl SPDX-License-Identifier: Apache-2.0
AC_DEFUN([SL_COVERAGE], [
  AC_ARG_ENABLE([coverage],
    [AS_HELP_STRING([--enable-coverage], [build with gcov instrumentation])],
    [], [enable_coverage=no])
  sl_coverage=$enable_coverage
  AS_IF([test "$enable_coverage" = yes], [COV_CFLAGS="--coverage -O0"], [COV_CFLAGS=])
  AC_SUBST([COV_CFLAGS])
])
