using System;

namespace GameApi
{
    /// <summary>Who finds a session. A value that this client does not know is kept as it is.</summary>
    public readonly struct Visibility : IEquatable<Visibility>
    {
        /// <summary>The session is in lists.</summary>
        public static readonly Visibility Public = new Visibility("public");

        /// <summary>The session is in no list. Whoever knows its id can join.</summary>
        public static readonly Visibility Private = new Visibility("private");

        /// <summary>A value by the name that the service uses.</summary>
        public Visibility(string value)
        {
            Value = value;
        }

        /// <summary>The name that the service uses.</summary>
        public string Value { get; }

        /// <summary>Whether both have the same name.</summary>
        public static bool operator ==(Visibility left, Visibility right) => left.Equals(right);

        /// <summary>Whether the names differ.</summary>
        public static bool operator !=(Visibility left, Visibility right) => !left.Equals(right);

        /// <summary>Whether both have the same name.</summary>
        public bool Equals(Visibility other) => string.Equals(Value, other.Value, StringComparison.Ordinal);

        /// <inheritdoc/>
        public override bool Equals(object obj) => obj is Visibility && Equals((Visibility)obj);

        /// <inheritdoc/>
        public override int GetHashCode() => Value == null ? 0 : Value.GetHashCode();

        /// <inheritdoc/>
        public override string ToString() => Value ?? string.Empty;
    }
}
