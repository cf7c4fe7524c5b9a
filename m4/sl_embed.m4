dnl SPDX-License-Identifier: Apache-2.0
dnl SL_EMBED: a folder in which the linker finds the archives, and not the shared libraries,
dnl of the small libraries that every command needs; EMBED_LDFLAGS names it. A command
dnl lives for a few milliseconds; to find, map and bind each shared library costs it 0.04.
AC_DEFUN([SL_EMBED], [
  AC_ARG_ENABLE([embedded-libs],
    [AS_HELP_STRING([--disable-embedded-libs],
      [the commands load libevent, protobuf-c and libconfig as shared libraries, instead
       of containing them where their archives are installed])],
    [], [enable_embedded_libs=yes])
  sl_archives=
  EMBED_LDFLAGS=
  AS_IF([test "$enable_embedded_libs" = yes], [
    for sl_lib in event_core protobuf-c config; do
      sl_file=`$CC -print-file-name=lib$sl_lib.a`
      AS_CASE([$sl_file], [/*], [sl_archives="$sl_archives $sl_file"])
    done
    EMBED_LDFLAGS='-L$(abs_top_builddir)/embedded'
  ])
  AC_CONFIG_COMMANDS([embedded],
    [rm -rf embedded && mkdir embedded
     for sl_file in $sl_archives; do ln -s "$sl_file" embedded/; done],
    [sl_archives='$sl_archives'])
  AC_SUBST([EMBED_LDFLAGS])
])
