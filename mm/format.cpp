// SPDX-License-Identifier: GPL-2.0-only
// Formats by name. Which there are, the build says.
#include SVM_FORMATS_HEADER

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

extern "C" const svm_format_info *svm_format_describe(const svm_format *format)
{
	return &format->info;
}
