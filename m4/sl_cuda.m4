dnl SPDX-License-Identifier: Apache-2.0
dnl --with-cuda[=DIR]: the worker's CUDA back end. Off unless asked for.
AC_DEFUN([SL_CUDA], [
  AC_ARG_WITH([cuda],
    [AS_HELP_STRING([--with-cuda@<:@=DIR@:>@], [build the worker's CUDA back end (DIR: toolkit root)])],
    [], [with_cuda=no])
  sl_cuda=no
  AS_IF([test "$with_cuda" != no], [
    AS_IF([test "$with_cuda" = yes], [sl_cuda_path=$PATH], [sl_cuda_path=$with_cuda/bin:$PATH])
    AC_PATH_PROG([NVCC], [nvcc], [], [$sl_cuda_path])
    AS_IF([test -z "$NVCC"],
      [AC_MSG_ERROR([nvcc not found: install the CUDA toolkit (Debian package nvidia-cuda-toolkit) or give --with-cuda=DIR])])
    CUDA_DIR=`dirname "$NVCC"`; CUDA_DIR=`dirname "$CUDA_DIR"`
    CUDA_CFLAGS="-I$CUDA_DIR/include"
    CUDA_LIBS="-L$CUDA_DIR/lib64 -lcudart -lcublasLt -lnccl"
    sl_cuda=$CUDA_DIR
    AC_DEFINE([HAVE_CUDA], [1], [The CUDA back end is built])
  ])
  AC_SUBST([NVCC])
  AC_SUBST([CUDA_CFLAGS])
  AC_SUBST([CUDA_LIBS])
  AM_CONDITIONAL([HAVE_CUDA], [test "$sl_cuda" != no])
])
