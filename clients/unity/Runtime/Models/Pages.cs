using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi
{
    /// <summary>The items of all pages of a list. Each page is loaded when its first item is needed.</summary>
    internal sealed class Pages<T> : IAsyncEnumerable<T>
    {
        private readonly Func<string, CancellationToken, Task<Page<T>>> load;

        /// <param name="load">Loads the page at a cursor, which is null for the first page.</param>
        internal Pages(Func<string, CancellationToken, Task<Page<T>>> load)
        {
            this.load = load;
        }

        public IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
            new Walk(load, cancellationToken);

        private sealed class Walk : IAsyncEnumerator<T>
        {
            private readonly Func<string, CancellationToken, Task<Page<T>>> load;
            private readonly CancellationToken cancellationToken;
            private Page<T> page;
            private int index;

            internal Walk(Func<string, CancellationToken, Task<Page<T>>> load, CancellationToken cancellationToken)
            {
                this.load = load;
                this.cancellationToken = cancellationToken;
            }

            public T Current => page.Items[index];

            public async ValueTask<bool> MoveNextAsync()
            {
                index++;
                while (page == null || (index >= page.Items.Count && page.NextCursor != null))
                {
                    page = await load(page?.NextCursor, cancellationToken);
                    index = 0;
                }
                return index < page.Items.Count;
            }

            public ValueTask DisposeAsync() => default;
        }
    }
}
