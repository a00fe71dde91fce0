dnl CHIMERA_LOOP - how fibers switch: by hand on x86-64 and arm64, by ucontext elsewhere or on request.
AC_DEFUN([CHIMERA_LOOP], [
  AC_REQUIRE([AC_CANONICAL_HOST])
  AC_ARG_ENABLE([ucontext], [AS_HELP_STRING([--enable-ucontext], [switch fibers by ucontext, not by assembly])])
  AS_CASE([$host_cpu], [x86_64|aarch64], [], [enable_ucontext=yes])
  AM_CONDITIONAL([FIBER_UCONTEXT], [test "x$enable_ucontext" = xyes])
])
