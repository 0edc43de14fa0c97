using System;
using System.Globalization;
using System.Text;

namespace GameApi
{
    /// <summary>The query of a URL. Values that are null are left out.</summary>
    internal sealed class Query
    {
        private readonly StringBuilder text = new StringBuilder();

        internal void Add(string name, string value)
        {
            if (value != null)
            {
                text.Append(text.Length == 0 ? '?' : '&').Append(name).Append('=').Append(Uri.EscapeDataString(value));
            }
        }

        internal void Add(string name, int? value) => Add(name, value?.ToString(CultureInfo.InvariantCulture));

        internal void Add(string name, bool? value) =>
            Add(name, value == null ? null : value.Value ? "true" : "false");

        public override string ToString() => text.ToString();
    }
}
