// SPDX-License-Identifier: GPL-2.0-only
/* shmem_file_setup() takes a vma_flags_t, not a word of flags. */
#include <linux/shmem_fs.h>

struct file *svm_probe(void);
struct file *svm_probe(void)
{
	return shmem_file_setup("probe", 1, (vma_flags_t){});
}
