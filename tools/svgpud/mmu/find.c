// SPDX-License-Identifier: GPL-2.0-only
#include "mmu.h"

static const struct mmu *const all[] = {
	&mmu_xe2, &mmu_nv_v2, &mmu_nv_v3, &mmu_amd_gfx9, &mmu_amd_gfx12, &mmu_mlx5_odp, NULL,
};

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

const struct mmu *mmu_find(const char *name)
{
	u32 i;

	for (i = 0; all[i]; i++)
		if (same(all[i]->name, name))
			return all[i];
	return NULL;
}
