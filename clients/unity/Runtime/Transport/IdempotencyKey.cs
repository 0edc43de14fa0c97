using System;

namespace GameApi
{
    /// <summary>The header <c>Idempotency-Key</c>, by which the service recognizes a call that is repeated.</summary>
    internal static class IdempotencyKey
    {
        internal static string Create() => Guid.NewGuid().ToString();

        /// <summary>The key of a caller, or null. A key that the service would refuse could also not be sent.</summary>
        internal static string Checked(string key)
        {
            bool isValid = key == null
                || (key.Length > 0 && key.Length <= 64 && key.Trim() == key
                    && Array.TrueForAll(key.ToCharArray(), character => character >= ' ' && character <= '~'));
            if (!isValid)
            {
                throw new ArgumentException("An idempotency key has 1 to 64 printable ASCII characters.");
            }
            return key;
        }
    }
}
