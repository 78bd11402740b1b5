/* Functions whose lines, labels, copies and variables are looked up. What the test
 * looks for is marked with @. */
struct packet {
	int len;
	struct packet *next;
	char data[24];
};

extern int sink(const void *what, long n);
extern struct packet *take(long n);

static int total = 7;

static inline __attribute__((always_inline)) int halve(struct packet *p, int by)
{
	int half = p->len / by;

	sink(p, half); /* @halve */
	return half;
}

__attribute__((noinline)) int first(struct packet *p, long n) /* @first */
{
	char frame[40];
	int got;

	sink(frame, n); /* @frame */
	got = halve(p, 2); /* @call */
	if (got > n)
		goto out;
	/* nothing here @nothing */
	got += sink(p->next, 1);
	total += got; /* @total */
out:
	return sink(&total, got); /* @out */
}

int second(long n)
{
	struct packet *p = take(n);
	int unused = 4;

	if (!p)
		return 0;
	p->len = halve(p, 3);
	return sink(p, n * unused); /* @end */
}

int third(long n)
{
	long used = n * 3;
	sink(0, used); /* @used */
	sink(0, 0); /* @unused */
	return 0; /* @last */
}
