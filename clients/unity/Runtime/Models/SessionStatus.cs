using System;

namespace GameApi
{
    /// <summary>The status of a session. A value that this client does not know is kept as it is.</summary>
    public readonly struct SessionStatus : IEquatable<SessionStatus>
    {
        /// <summary>Players gather, and may join.</summary>
        public static readonly SessionStatus Waiting = new SessionStatus("waiting");

        /// <summary>The match is about to begin, and nobody may join.</summary>
        public static readonly SessionStatus Starting = new SessionStatus("starting");

        /// <summary>The match is on. Players may join if the session has join_in_progress.</summary>
        public static readonly SessionStatus Active = new SessionStatus("active");

        /// <summary>The match is over.</summary>
        public static readonly SessionStatus Ended = new SessionStatus("ended");

        /// <summary>The session was called off.</summary>
        public static readonly SessionStatus Cancelled = new SessionStatus("cancelled");

        /// <summary>Set only by the service.</summary>
        public static readonly SessionStatus Expired = new SessionStatus("expired");

        /// <summary>A value by the name that the service uses.</summary>
        public SessionStatus(string value)
        {
            Value = value;
        }

        /// <summary>The name that the service uses.</summary>
        public string Value { get; }

        /// <summary>Whether the session is waiting, starting or active.</summary>
        public bool IsLive => this == Waiting || this == Starting || this == Active;

        /// <summary>Whether both have the same name.</summary>
        public static bool operator ==(SessionStatus left, SessionStatus right) => left.Equals(right);

        /// <summary>Whether the names differ.</summary>
        public static bool operator !=(SessionStatus left, SessionStatus right) => !left.Equals(right);

        /// <summary>Whether both have the same name.</summary>
        public bool Equals(SessionStatus other) => string.Equals(Value, other.Value, StringComparison.Ordinal);

        /// <inheritdoc/>
        public override bool Equals(object obj) => obj is SessionStatus && Equals((SessionStatus)obj);

        /// <inheritdoc/>
        public override int GetHashCode() => Value == null ? 0 : Value.GetHashCode();

        /// <inheritdoc/>
        public override string ToString() => Value ?? string.Empty;
    }
}
