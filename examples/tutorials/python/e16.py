# SPDX-License-Identifier: MIT
def mygen(id_number, maxnum):
    for i in range(maxnum):
        yield f'{id_number}: {i}'


generators = [mygen(1, 5), mygen(2, 7), mygen(3, 3)]

while generators:
    for one_g in generators:
        try:
            print(next(one_g))
        except StopIteration:
            generators.remove(one_g)

print('Done!')
