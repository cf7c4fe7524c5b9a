dnl SPDX-License-Identifier: Apache-2.0
AC_DEFUN([SL_SANITIZERS], [
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers@<:@=LIST@:>@],
       [build with -fsanitize=LIST (default address,undefined; thread for data races)])],
    [], [enable_sanitizers=no])
  AS_CASE([$enable_sanitizers], [yes], [sl_sanitizers=address,undefined],
    [no], [sl_sanitizers=no], [sl_sanitizers=$enable_sanitizers])
  AS_IF([test "$sl_sanitizers" != no], [
    SAN_CFLAGS="-fsanitize=$sl_sanitizers -fno-omit-frame-pointer -fno-sanitize-recover=undefined"
    AS_CASE([$sl_sanitizers], [thread], [SAN_CFLAGS="-fsanitize=thread -fno-omit-frame-pointer"])
    AC_DEFINE([WITH_SANITIZERS], [1], [Built with compiler sanitizers])
  ])
  AC_SUBST([SAN_CFLAGS])
  WARN_CFLAGS="-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 -Wno-format-nonliteral"
  AC_SUBST([WARN_CFLAGS])
])
