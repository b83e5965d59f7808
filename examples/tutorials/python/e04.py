# SPDX-License-Identifier: MIT
import asyncio


async def main():
    print("Hell world!")


main()  # the wrong way: a warning on stderr, nothing else
asyncio.run(main())
