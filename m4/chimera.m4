dnl CHIMERA_COMPILER_FLAGS - language level, warnings, hardening, sanitizers and fuzzing.
AC_DEFUN([CHIMERA_COMPILER_FLAGS], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [turn warnings into errors])])
  AC_ARG_ENABLE([sanitizers], [AS_HELP_STRING([--enable-sanitizers], [build with ASan and UBSan])])
  AC_ARG_ENABLE([fuzz], [AS_HELP_STRING([--enable-fuzz], [build libFuzzer targets (needs clang)])])
  CHIMERA_CFLAGS="-std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -fno-strict-aliasing -fno-common -pthread"
  CHIMERA_LDFLAGS="-pthread -Wl,-z,relro -Wl,-z,now"
  AS_IF([test "x$enable_werror" = xyes], [CHIMERA_CFLAGS="$CHIMERA_CFLAGS -Werror"])
  AS_IF([test "x$enable_fuzz" = xyes], [
    AS_IF([$CC --version 2>/dev/null | grep -q clang], [], [AC_MSG_ERROR([--enable-fuzz needs CC=clang])])
    enable_sanitizers=yes
    CHIMERA_CFLAGS="$CHIMERA_CFLAGS -fsanitize=fuzzer-no-link"])
  AS_IF([test "x$enable_sanitizers" = xyes], [
    CHIMERA_CFLAGS="$CHIMERA_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    CHIMERA_LDFLAGS="$CHIMERA_LDFLAGS -fsanitize=address,undefined"
    dnl gcc's guesses about values are wrong where the sanitizers change the code.
    AS_CASE([$CC], [*clang*], [],
            [CHIMERA_CFLAGS="$CHIMERA_CFLAGS -Wno-format-truncation -Wno-maybe-uninitialized -Wno-stringop-overflow"])
  ], [
    CHIMERA_CFLAGS="$CHIMERA_CFLAGS -fstack-protector-strong -fstack-clash-protection -fPIE"
    CHIMERA_LDFLAGS="$CHIMERA_LDFLAGS -pie"
    AX_HARDENING_FORTIFY
  ])
  AM_CONDITIONAL([FUZZ], [test "x$enable_fuzz" = xyes])
  AM_CONDITIONAL([SANITIZERS], [test "x$enable_sanitizers" = xyes])
  AC_SUBST([CHIMERA_CFLAGS])
  AC_SUBST([CHIMERA_LDFLAGS])
])

dnl AX_HARDENING_FORTIFY - _FORTIFY_SOURCE wants an optimising build.
AC_DEFUN([AX_HARDENING_FORTIFY], [
  AS_CASE([" $CFLAGS "], [*" -O0 "*], [], [CHIMERA_CFLAGS="$CHIMERA_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
])

dnl CHIMERA_DEPENDENCIES - libraries; each missing one names its Debian package.
AC_DEFUN([CHIMERA_DEPENDENCIES], [
  PKG_CHECK_MODULES([URING], [liburing >= 2.3], [], [AC_MSG_ERROR([liburing is missing: install liburing-dev])])
  PKG_CHECK_MODULES([INIH], [inih], [], [AC_MSG_ERROR([inih is missing: install libinih-dev])])
  chimera_saved_cflags=$CFLAGS
  CFLAGS="$CFLAGS $INIH_CFLAGS"
  AC_CHECK_DECL([ini_max_line], [AC_DEFINE([HAVE_INI_MAX_LINE], [1], [inih takes its line limit at run time])], [],
    [[#include <ini.h>]])
  CFLAGS=$chimera_saved_cflags
  PKG_CHECK_MODULES([FUSE], [fuse3 >= 3.10], [], [AC_MSG_ERROR([libfuse3 is missing: install libfuse3-dev])])
  PKG_CHECK_MODULES([XXHASH], [libxxhash], [], [AC_MSG_ERROR([xxhash is missing: install libxxhash-dev])])
  PKG_CHECK_MODULES([UTF8PROC], [libutf8proc], [], [AC_MSG_ERROR([utf8proc is missing: install libutf8proc-dev])])
  PKG_CHECK_MODULES([LMDB], [lmdb >= 0.9.24], [], [AC_MSG_ERROR([LMDB is missing: install liblmdb-dev])])
  PKG_CHECK_MODULES([SECCOMP], [libseccomp], [], [AC_MSG_ERROR([libseccomp is missing: install libseccomp-dev])])
  PKG_CHECK_MODULES([CRITERION], [criterion], [have_criterion=yes], [have_criterion=no])
  AM_CONDITIONAL([CRITERION], [test "x$have_criterion" = xyes])
])

dnl CHIMERA_SUMMARY - what was configured, in one screen.
AC_DEFUN([CHIMERA_SUMMARY], [
  AS_IF([test "x$enable_sanitizers" = xyes], [chimera_san=yes], [chimera_san=no])
  AS_IF([test "x$enable_fuzz" = xyes], [chimera_fuzz=yes], [chimera_fuzz=no])
  AC_MSG_NOTICE([
    Chimera $VERSION
      compiler      $CC $CFLAGS
      sanitizers    $chimera_san
      fuzz targets  $chimera_fuzz
      unit tests    $have_criterion (Criterion)
      back ends     null fault memfs linux cairn
      protocols     nfs
      local mount   fuse
  ])
])
