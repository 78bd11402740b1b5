// What is rare or has more than one form in debug information. The test
// compiles it for each version of DWARF.

typedef unsigned int u32;
typedef struct { int counter; } atomic_t;
typedef u32 alias_t;

enum state { STATE_BAD = -1, STATE_GOOD, STATE_LARGE = 300 };
enum flags { FLAG_LOW = 1, FLAG_HIGH = 0x80000000u };
enum wide { WIDE = 1ull << 40 };
enum later_enum;

struct only_declared;
struct elsewhere;

struct odd {
	u32 before;
	unsigned int low : 3, middle : 7;
	int signed_bits : 5;
	unsigned char small : 2;
	unsigned long long far : 33;
	union {
		struct { char a, b; };
		short both;
	};
	enum state state : 4;
	const volatile char *const text;
	int (*call)(struct odd *self, const char *);
	int (*table[3])(void);
	int grid[2][3];
	int none[0];
	_Bool yes;
	atomic_t refs;
	alias_t alias;
	struct only_declared *opaque;
	struct elsewhere *other;
	void *nothing;
	long double large;
	union { int x; float y; } named;
	int rest[];
};

struct odd odd;
enum flags all_flags;
enum wide all_wide;

struct packed { char c; int i : 20; int j : 12; long l; } __attribute__((packed)) packed;

// A definition that refers to a declaration without names.
extern int defined(struct odd *, u32);
int caller(struct odd *o) { return defined(o, 1); }
int defined(struct odd *object, u32 number) { return object->before + number; }

// Inlined in one place, and with code of its own for another.
static inline int both_ways(struct odd *first, unsigned long second) { return first->yes ? second : 7; }
int (*both_pointer)(struct odd *, unsigned long) = both_ways;
int uses_both(struct odd *o) { return both_ways(o, 3); }

static inline __attribute__((always_inline)) int only_inlined(int x) { return x * 3; }
int uses_inlined(int x) { return only_inlined(x); }

// The compiler makes specialised.isra.0 or specialised.constprop.0 of it.
static __attribute__((noinline)) int specialised(struct odd *o, int unused, int same) { return o->before + same; }
int uses_specialised(struct odd *o, struct odd *p) { return specialised(o, 1, 5) * specialised(p, 2, 5); }

int variadic(const char *format, ...) { return format[0]; }
void no_parameters(void) { odd.before++; }
