dnl SPDX-License-Identifier: Apache-2.0
dnl Parallel HDF5, the Open MPI flavour.
AC_DEFUN([SL_HDF5], [
  PKG_CHECK_MODULES([HDF5], [hdf5-openmpi], [],
    [AC_MSG_ERROR([parallel HDF5 not found: install the Debian package libhdf5-openmpi-dev])])
])
