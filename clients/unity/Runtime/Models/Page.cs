using System.Collections.Generic;

namespace GameApi
{
    /// <summary>One page of a list.</summary>
    public abstract class Page<T>
    {
        internal Page(IReadOnlyList<T> items, string nextCursor)
        {
            Items = items;
            NextCursor = nextCursor;
        }

        /// <summary>The items of this page.</summary>
        public IReadOnlyList<T> Items { get; }

        /// <summary>The cursor of the next page, or null on the last page.</summary>
        public string NextCursor { get; }
    }
}
