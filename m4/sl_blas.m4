dnl SPDX-License-Identifier: Apache-2.0
dnl Matrix products of the worker: oneDNN where present, else CBLAS (OpenBLAS, OpenMP flavour).
AC_DEFUN([SL_BLAS], [
  AC_ARG_WITH([onednn],
    [AS_HELP_STRING([--without-onednn], [use CBLAS for the worker's matrix products])],
    [], [with_onednn=check])
  sl_blas=no
  AS_IF([test "$with_onednn" != no], [
    AC_CHECK_HEADER([dnnl.h], [
      AC_CHECK_LIB([dnnl], [dnnl_matmul_desc_init], [
        sl_blas=oneDNN; BLAS_LIBS="-ldnnl"
        AC_DEFINE([HAVE_ONEDNN], [1], [oneDNN 2.x is used for matrix products])])])
  ])
  AS_IF([test "$sl_blas" = no], [
    AS_IF([test "$with_onednn" = yes],
      [AC_MSG_ERROR([oneDNN 2.x not found: install the Debian package libdnnl-dev])])
    PKG_CHECK_MODULES([BLAS], [openblas], [sl_blas=OpenBLAS],
      [AC_MSG_ERROR([neither oneDNN nor OpenBLAS found: install the Debian package libdnnl-dev (or libopenblas-openmp-dev)])])
  ])
  AC_OPENMP
  AC_SUBST([BLAS_CFLAGS])
  AC_SUBST([BLAS_LIBS])
  AM_CONDITIONAL([HOST_X86_64], [test "$host_cpu" = x86_64])
  AM_CONDITIONAL([HAVE_ONEDNN], [test "$sl_blas" = oneDNN])
])
