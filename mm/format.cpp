// SPDX-License-Identifier: GPL-2.0-only
// Formats by name. Which there are, the build says.
#include SVM_FORMATS_HEADER

namespace {

struct format_names {
	char text[128] = {};
	unsigned length = 0;

	constexpr format_names()
	{
		for (const svm_format *f : svm::formats::all) {
			if (length)
				text[length++] = ' ';
			for (const char *c = f->info.name; *c; c++)
				text[length++] = *c;
		}
	}
};

constexpr format_names names;
static_assert(names.length < sizeof(names.text));

} // namespace

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

extern "C" const svm_format *svm_format_find(const char *name)
{
	for (const svm_format *f : svm::formats::all) {
		if (same(f->info.name, name))
			return f;
	}
	return nullptr;
}

extern "C" const char *svm_format_names(void)
{
	return names.text;
}

extern "C" const svm_format_info *svm_format_describe(const svm_format *format)
{
	return &format->info;
}

extern "C" int svm_sample_make(const svm_format *format, const svm_backend_ops *ops, void *backend, u64 va, u64 addr, svm_sample *sample)
{
	*sample = {};
	while (sample->count < format->depth) {
		int failed = ops->table_alloc(backend, format->bytes(sample->count), &sample->tables[sample->count]);

		if (failed) {
			svm_sample_free(ops, backend, sample);
			return failed;
		}
		sample->count++;
	}
	format->write_sample(sample->tables, va, addr);
	return 0;
}

extern "C" void svm_sample_free(const svm_backend_ops *ops, void *backend, svm_sample *sample)
{
	while (sample->count)
		ops->table_free(backend, &sample->tables[--sample->count]);
}
