namespace GameApi
{
    /// <summary>
    /// A field of an update that may be absent, null or a value. An absent field is not sent, and the service
    /// leaves it as it is. Assigning null to a field that may be null clears it.
    /// </summary>
    public readonly struct Optional<T>
    {
        private readonly T value;

        private Optional(T value)
        {
            IsSet = true;
            this.value = value;
        }

        /// <summary>False if the field is absent, which is the default.</summary>
        public bool IsSet { get; }

        /// <summary>The value, which may be null; the default of the type if the field is absent.</summary>
        public T Value => value;

        /// <summary>Sets the field, to null as well.</summary>
        public static implicit operator Optional<T>(T value) => new Optional<T>(value);

        /// <summary>The value as text, "null", or "absent".</summary>
        public override string ToString() => !IsSet ? "absent" : value == null ? "null" : value.ToString();
    }
}
