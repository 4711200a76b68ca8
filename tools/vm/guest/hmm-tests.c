// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's HMM selftest as it is, with a choice of its tests: the arguments are full names,
 * FIXTURE.VARIANT.TEST. Older harnesses have no option for that, and a test there whose ioctl
 * is not served fails in its teardown over and over, until the harness kills it after 30 s.
 *
 * A test gets ten times as long as on a real machine.
 *
 * SELFTEST is the path of the kernel's source file.
 */
#define main selftest_main
#include SELFTEST
#undef main

static bool named(int argc, char **argv, const char *fixture, const char *variant,
		  const char *test)
{
	char name[256];
	int i;

	for (i = 1; i < argc; i++) {
		/* Without a test: any test of this variant. */
		if (test)
			snprintf(name, sizeof(name), "%s.%s.%s", fixture, variant, test);
		else
			snprintf(name, sizeof(name), "%s.%s.", fixture, variant);
		if (test ? !strcmp(argv[i], name) : !strncmp(argv[i], name, strlen(name)))
			return true;
	}
	return false;
}

static bool named_in_any(int argc, char **argv, const struct __fixture_metadata *f,
			 const char *test)
{
	const struct __fixture_variant_metadata *v;

	for (v = f->variant; v; v = v->next)
		if (named(argc, argv, f->name, v->name, test))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct __fixture_variant_metadata **v;
	struct __fixture_metadata *f;
	struct __test_metadata **t;

	for (f = __fixture_list; f; f = f->next) {
		for (t = &f->tests; *t;) {
			(*t)->timeout *= 10;
			if (named_in_any(argc, argv, f, (*t)->name))
				t = &(*t)->next;
			else
				*t = (*t)->next;
		}
		for (v = &f->variant; *v;) {
			if (named(argc, argv, f->name, (*v)->name, NULL))
				v = &(*v)->next;
			else
				*v = (*v)->next;
		}
	}
	return selftest_main(1, (char *[]){ argv[0], NULL });
}
