dnl SPDX-License-Identifier: Apache-2.0
dnl The worker's MPI: the wrapper compiler tells the flags, plain CC compiles.
AC_DEFUN([SL_MPI], [
  AC_PATH_PROG([MPICC], [mpicc])
  AS_IF([test -z "$MPICC"],
    [AC_MSG_ERROR([mpicc not found: install the Debian package libopenmpi-dev])])
  MPI_CFLAGS=`$MPICC --showme:compile`
  MPI_LIBS=`$MPICC --showme:link`
  AC_SUBST([MPI_CFLAGS])
  AC_SUBST([MPI_LIBS])
])
