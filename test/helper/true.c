/* SPDX-License-Identifier: MIT */
/* Nothing, successfully: a program that needs no other file. */
int main(void)
{
	return 0;
}
