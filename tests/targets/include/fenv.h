/* WebAssembly rounds to nearest and has no exception flags: what CORE-MATH asks of <fenv.h> has one answer there. */
#ifndef LOCKSTEP_FENV_H
#define LOCKSTEP_FENV_H
enum { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
enum { FE_INVALID = 1, FE_DIVBYZERO = 4, FE_OVERFLOW = 8, FE_UNDERFLOW = 16, FE_INEXACT = 32, FE_ALL_EXCEPT = 61 };
typedef unsigned fexcept_t;
typedef unsigned fenv_t;
#define FE_DFL_ENV ((const fenv_t *)0)
static inline int fegetround(void) { return FE_TONEAREST; }
static inline int fesetround(int mode) { return mode; }
static inline int feraiseexcept(int flags) { return 0 & flags; }
static inline int feclearexcept(int flags) { return 0 & flags; }
static inline int fetestexcept(int flags) { return 0 & flags; }
static inline int fegetexceptflag(fexcept_t *to, int flags) { *to = 0; return 0 & flags; }
static inline int fesetexceptflag(const fexcept_t *from, int flags) { (void)from; return 0 & flags; }
static inline int feholdexcept(fenv_t *to) { *to = 0; return 0; }
static inline int fegetenv(fenv_t *to) { *to = 0; return 0; }
static inline int fesetenv(const fenv_t *from) { (void)from; return 0; }
static inline int feupdateenv(const fenv_t *from) { (void)from; return 0; }
#endif
